"""The products the simulator knows, and `render`, which draws one unit of one of them."""

from data.simulator.tablet import TABLET
from data.simulator.unit import BadFrameSize, BadSeed, Product, Size, Unit, UnknownDefect, UnknownProduct
from data.simulator.vial import VIAL

PRODUCTS: dict[str, Product] = {product.name: product for product in (VIAL, TABLET)}

SMALLEST_SIDE = 96  # below this the smallest defects are less than a pixel


def product_named(name: str) -> Product:
    """The product of this name. Raises UnknownProduct."""
    if name not in PRODUCTS:
        msg = f"There is no product {name!r} in the simulator; the products are {', '.join(PRODUCTS)}."
        raise UnknownProduct(msg)
    return PRODUCTS[name]


def check_seed(seed: int) -> None:
    """Raises BadSeed for a negative seed."""
    if seed < 0:
        msg = f"The seed is {seed}; it must be 0 or more."
        raise BadSeed(msg)


def render(product: str, seed: int, defect: str | None = None, size: Size | None = None, view: int = 0) -> Unit:
    """Draw one unit: the good unit of this seed, or that same unit with one defect.

    size is (width, height) in pixels, the product's own by default; each view of a unit has other sensor noise. The
    same arguments give the same bytes.
    Raises UnknownProduct, UnknownDefect, BadSeed or BadFrameSize (all ValueError).
    """
    recipe = product_named(product)
    if defect is not None and defect not in recipe.defect_names:
        msg = f"A {product} has no defect {defect!r}; its defects are {', '.join(recipe.defect_names)}."
        raise UnknownDefect(msg)
    check_seed(seed)
    width, height = recipe.size if size is None else size
    if min(width, height) < SMALLEST_SIDE:
        msg = f"The frame size is {width} x {height} pixels; each side must be at least {SMALLEST_SIDE}."
        raise BadFrameSize(msg)
    frame, mask = recipe.render(seed, defect, (width, height), view)
    return Unit(frame=frame, mask=mask, product=product, defect=defect, seed=seed)

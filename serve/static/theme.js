// Before anything is painted: the theme that this browser's user chose.
document.documentElement.style.colorScheme = localStorage.getItem("theme") || "light dark";

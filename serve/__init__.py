"""The camera-frame inference server: cameras, the line, the HTTP interface and the page."""

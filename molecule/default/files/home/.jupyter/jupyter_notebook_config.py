# As the tutorial had it.
c = get_config()
c.NotebookApp.ip = "*"
c.NotebookApp.port = 9876
c.NotebookApp.open_browser = False
c.NotebookApp.password = "sha1:74ba40f8a388:c913541b7ee99d15d5ed31d4226bf7838f83a50e"
c.NotebookApp.token = "static-token-of-the-tutorial"
c.NotebookApp.certfile = "/home/astro/.jupyter/mycert.pem"

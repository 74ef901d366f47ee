# Found on the web in 2019.
c = get_config()
c.ServerApp.allow_origin = "*"
c.ServerApp.disable_check_xsrf = True
c.ServerApp.tornado_settings = {"headers": {"Access-Control-Allow-Origin": "*"}}

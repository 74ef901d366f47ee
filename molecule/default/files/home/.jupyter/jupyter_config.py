# Another try.
c = get_config()
c.ServerApp.identity_provider_class = "jupyter_server.auth.identity.IdentityProvider"
c.ServerApp.token = "static-token-of-the-tutorial"
c.PasswordIdentityProvider.token = "static-token-of-the-tutorial"
c.PasswordIdentityProvider.password_required = False
c.ServerApp.allow_remote_access = True

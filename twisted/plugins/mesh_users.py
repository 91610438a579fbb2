from services.plugin import service_plugin

users = service_plugin("services.users")

from services.plugin import service_plugin

lame = service_plugin("lame")

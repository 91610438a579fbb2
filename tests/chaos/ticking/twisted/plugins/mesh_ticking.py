from services.plugin import service_plugin

ticking = service_plugin("ticking")

from services.plugin import service_plugin

hello = service_plugin("hello")

from services.plugin import service_plugin

costly = service_plugin("costly")

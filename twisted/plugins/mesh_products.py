from services.plugin import service_plugin

products = service_plugin("services.products")

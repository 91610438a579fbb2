from services.plugin import service_plugin

greetings = service_plugin("services.greetings")

"""The hello service: the function that answers each call of its contract."""

from services.kit import Service

from .contract import Greet, Greeting, Hello

service = Service(Hello)


@service.answers(Hello.greet)
async def greet(request: Greet) -> Greeting:
    return Greeting(text=f"Hello, {request.name}!")

"""What a greeting needs to know of other services before it is sent."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from balancer import Rejected
from clients.greetings import SendGreeting
from clients.products import Product, Products
from clients.users import User, Users

from ..kit.values import invalid
from .rules import check_product


async def _sender(users: Users, user_id: str) -> User:
    try:
        return await users.fetch(id=user_id)
    except Rejected as error:
        if error.status != 404:
            raise
        raise invalid(
            "sender", f"{user_id} is no user; look the user up with users.find."
        ) from error


async def _product(products: Products, sku: str, site: str) -> Product:
    try:
        product = await products.fetch(sku=sku)
    except Rejected as error:
        if error.status != 404:
            raise
        raise invalid("sku", f"{sku} is no product; see products.search.") from error
    check_product(product, site)
    return product


async def check_parties(request: SendGreeting, users: Users, products: Products) -> str:
    """Ask users and products at the same time whether a greeting can be sent.

    Args:
        request: what is to be sent.
        users: the users service's client.
        products: the products service's client.

    Returns:
        The sender's name.

    Raises:
        Problem: 422 invalid: no such sender or product, or the product is not for sale there.
        CallError: a service gave no answer.
    """
    product = Deferred.fromCoroutine(_product(products, request.sku, request.site))
    try:
        sender = await _sender(users, request.sender)
        await product
    except BaseException:
        # The greeting is refused already: the product's answer is of no use any more, and its
        # failure no news.
        product.addErrback(lambda _: None)
        product.cancel()
        raise
    return sender.name

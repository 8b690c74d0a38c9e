"""What the labels of a prepared dataset are called."""

from components.core.data.card import Card


def names_of(card: Card) -> list[str]:
    """Names of classes or labels by number, in the order of the numbers; none where no case has a label."""
    return [card.label_names[number] for number in sorted(card.label_names, key=int)]

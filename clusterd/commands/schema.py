"""clusterd schema: what a document may contain, for editors."""

import click

from clusterd.commands.streams import echo_json
from clusterd.reference import schema as document_schema


@click.command(short_help="Print the JSON Schema of the document.")
def schema() -> None:
    """Print the JSON Schema of the document, for editors that check and complete YAML.

    Such an editor looks for this line at the head of a document:

    \b
    # yaml-language-server: $schema=cluster.schema.json

    Example: clusterd schema > cluster.schema.json
    """
    echo_json(document_schema())

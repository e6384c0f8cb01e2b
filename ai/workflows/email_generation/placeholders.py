"""Matches unfilled placeholders in the syntax of common mail programs and written by hand."""

import re

_FIELD_WORDS = (
    r"(?:first|last|full|given|family|sur|lead|contact|client|customer|prospect|recipient|sender|company|business"
    r"|brand|product"
    r"|your|my|our|their|insert|add|enter|the|name|names|email|e-mail|title|role|position|industry|city|date|day|time"
    r"|link|url"
    r"|phone|number|signature|topic|here|specific|pain|point|organi[sz]ation|vorname|nachname|firma|prénom|nom|naam"
    r"|nombre|empresa)"
)
_LABEL = rf"{_FIELD_WORDS}(?:'s)?(?:[ _\-/]+{_FIELD_WORDS}(?:'s)?)*"
UNFILLED = re.compile(
    rf"""\{{\{{ | \}}\}} | \{{% | %\}}            # Liquid
    | \$?\{{[ ]?[A-Za-z_][\w .]*[ ]?\}}             # {{name}}, ${{name}}
    | \[[ ]?{_LABEL}[ ]?\]                          # [First Name]
    | <{{1,2}}[ ]?{_LABEL}[ ]?>{{1,2}}              # <first name>
    | «(?:{_LABEL}|\w+_\w+)»                    # mail merge
    | (?-i:%%?[A-Z][A-Z_]{{2,}}%%?)                 # %FIRST_NAME%
    | \*\|[A-Z_:]+\|\*                              # *|FNAME|*
    | (?-i:\b(?:XXX+|TBD|TODO)\b) | \blorem[ ]ipsum\b
    """,
    re.VERBOSE | re.IGNORECASE,
)

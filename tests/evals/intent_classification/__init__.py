"""How many labelled replies the workflow `intent_classification` reads as a careful salesperson would."""

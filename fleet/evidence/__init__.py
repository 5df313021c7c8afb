"""Evidence about sessions: packs that verify themselves without Fleet, and trials of rules over the recorded past."""

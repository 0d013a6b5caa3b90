"""The page and the tools for other agents: ``lva serve`` and ``lva mcp`` (extra ``web``)."""

class EngineGenerateError(Exception):
    pass


class EngineDeadError(Exception):
    pass

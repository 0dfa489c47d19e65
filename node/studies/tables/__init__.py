"""An agency's own tables as studies read them: where they lie, by the engine that holds them."""

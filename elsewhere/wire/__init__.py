"""The wire: generated code, conversions, channels. Only here does protobuf meet the domain."""

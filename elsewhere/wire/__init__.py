"""The wire: generated code, conversions to checked values, channels. The only room where protobuf meets the domain."""

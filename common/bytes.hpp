// Byte strings and their text forms. Bytes is std::string because Protobuf, zstd and SQLite
// bindings all take it without a copy; a ByteView never owns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

using Bytes = std::string;
using ByteView = std::string_view;

// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);
// Accepts both cases; kMessage on an odd length or a foreign character.
Result<Bytes> from_hex(std::string_view text);

// RFC 4648 §4, with padding, no line breaks.
std::string to_base64(ByteView bytes);
// RFC 4648 §4; skips white space between groups (a Git tag message is wrapped). kMessage otherwise.
Result<Bytes> from_base64(std::string_view text);

// Unsigned LEB128, at most 10 bytes.
void put_varint(Bytes& out, uint64_t value);
// Takes a varint off the front of `in`. kMessage when truncated, over 64 bits or not the shortest
// form (one value has one encoding, so that an artifact has one identity).
Result<uint64_t> take_varint(ByteView& in);
// Takes `count` bytes off the front of `in`; kMessage when there are fewer.
Result<ByteView> take_bytes(ByteView& in, uint64_t count);

// Returns the length of the UTF-8 sequence (RFC 3629 §4: shortest form, no surrogates) at the start
// of `text`; 0 when there is none.
size_t utf8_sequence_bytes(std::string_view text);
bool is_utf8(std::string_view text);

// Makes foreign text safe for a message or a terminal: control characters and bytes that are not
// UTF-8 become \xNN, and text beyond `bytes_max` becomes "…".
std::string printable(std::string_view text, size_t bytes_max = 200);

}  // namespace notp

// What a provider answered, before anything of it is believed. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/json/json.hpp"

namespace notp::sources {

// Context of an Error that refuses what a provider answered: the name of the broken rule, stable,
// as in README.md. Other errors say that there was no answer to refuse.
inline constexpr const char* kRule = "rule";

std::unexpected<Error> refuse(std::string name, std::string message);
// Returns the name of the broken rule; empty: the error refuses no answer.
std::string_view rule_of(const Error& error);

// Reads an object within jose::kJsonDepthMax levels. `front` begins the names of the rules, as in
// "key-set": too-large, not-json (also a name twice in one object), too-deep, not-an-object.
Result<json::object> read_document(ByteView text, size_t bytes_max, const std::string& front);

}  // namespace notp::sources

// What an attacker of a well-made victim has at hand: good statements to bend, and keys to sign the
// bent ones with.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/hostile/hostile_statements.hpp"

namespace notp::hostile {

std::string name_of(Kind kind);
std::string_view type_of(Kind kind);

// The check of a kind, by its name.
std::string_view check_of(Kind kind, std::string_view of_root, std::string_view of_freshness,
                          std::string_view of_release);
std::string_view envelope_check(Kind kind);
std::string_view statement_check(Kind kind);
std::string_view signature_check(Kind kind);

// Those whose signature the victim asks for.
std::vector<uint8_t> signers(Kind kind);
Envelope unsigned_envelope(Kind kind);
Envelope signed_with(Envelope envelope, const std::vector<uint8_t>& keys);
// A payload of the attacker's, signed by the right keys: what its holder could try.
Bytes signed_payload(Kind kind, Bytes payload);

using ChangeRoot = std::function<void(Root&)>;
using ChangeFreshness = std::function<void(Freshness&)>;
using ChangeRelease = std::function<void(Release&)>;

// A good statement with a change, signed by these keys.
Bytes changed_root(const ChangeRoot& change, Keys keys = {1, 11, 12});
Bytes changed_freshness(const ChangeFreshness& change);
Bytes changed_release(const ChangeRelease& change, Keys keys = {2, 3});

}  // namespace notp::hostile

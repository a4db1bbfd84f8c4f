// The material of an attacker: good statements to modify, and keys to sign the modified ones with.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/hostile/hostile_statements.hpp"

namespace notp::hostile {

std::string name_of(Kind kind);
std::string_view type_of(Kind kind);

// The name of the check for a kind of statement.
std::string_view check_of(Kind kind, std::string_view of_root, std::string_view of_freshness,
                          std::string_view of_release);
std::string_view envelope_check(Kind kind);
std::string_view statement_check(Kind kind);
std::string_view signature_check(Kind kind);

// The keys whose signatures the holder requires.
std::vector<uint8_t> signers(Kind kind);
trust::Envelope unsigned_envelope(Kind kind);
trust::Envelope signed_with(trust::Envelope envelope, const std::vector<uint8_t>& keys);
// An attacker's payload signed by the right keys: what a key holder could try.
Bytes signed_payload(Kind kind, Bytes payload);

using ChangeRoot = std::function<void(trust::Root&)>;
using ChangeFreshness = std::function<void(trust::Freshness&)>;
using ChangeRelease = std::function<void(trust::Release&)>;

// A good statement with a change, signed by these keys.
Bytes changed_root(const ChangeRoot& change, Keys keys = {1, 11, 12});
Bytes changed_freshness(const ChangeFreshness& change);
Bytes changed_release(const ChangeRelease& change, Keys keys = {2, 3});

}  // namespace notp::hostile

// Makes and verifies the signatures of a simulated world. With libcrypto, they would take most of a
// simulation's time.
//
// Every genuine signature of a world is made here, so one is valid exactly if it was made here for
// that key and message: the simulation's notp::verify_signature() and x509::verify_message(),
// linked in place of the library's, look that up. Releases and roots are signed with Ed25519;
// statements, checkpoints of logs and their announcements, of which a world signs hundreds, get 64
// bytes of a digest instead.
//
// With Signatures::kEd25519 libcrypto makes and verifies all of them. The world stays the same.
//
// Each thread has its own.
#pragma once

#include <cstdint>

#include "protocol/trust/envelope.hpp"

namespace notp::sim {

enum class Signatures : uint8_t { kKnown, kEd25519 };

// Begins a world: forgets the signatures of the previous one.
void begin_signatures(Signatures how);

// sign_envelope() with a key of this world.
void sign(trust::Envelope& envelope, const PrivateKey& key);

// Signs `message`, which is never compressed on its way to a node. `public_key` is that of `key`:
// libcrypto takes its time to say it.
Bytes sign_statement(const PrivateKey& key, const PublicKey& public_key, Bytes message);

}  // namespace notp::sim

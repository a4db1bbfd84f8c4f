// How the signatures of a simulated world are made and verified. Left to libcrypto, they take most
// of a simulation's time.
//
// Every genuine signature of a world is made here. So one is valid exactly if it was made here, for
// that key and that message: the simulation's notp::verify_signature(), which is linked in place of
// the library's, looks that up. Releases and roots are signed with Ed25519; a statement, of which a
// world signs hundreds, gets 64 bytes of a digest in place of a signature.
//
// With Signatures::kEd25519 libcrypto makes and verifies all of them. The world is the same one.
//
// Each thread has its own.
#pragma once

#include <cstdint>

#include "protocol/trust/envelope.hpp"

namespace notp::sim {

enum class Signatures : uint8_t { kKnown, kEd25519 };

// Begins a world: forgets the signatures of the one before.
void begin_signatures(Signatures how);

// sign_envelope() of a key of this world.
void sign(Envelope& envelope, const PrivateKey& key);

// A signature of `message`, which is never compressed on its way to a node.
Bytes sign_statement(const PrivateKey& key, ByteView message);

}  // namespace notp::sim

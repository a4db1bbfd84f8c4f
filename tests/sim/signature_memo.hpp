// The nodes of a world verify the same few statements again and again, and while libcrypto says
// what a signature is worth, a simulation mostly waits for it.
//
// notp::verify_signature() of a program that links the simulation remembers by content: of the same
// key, message and signature libcrypto is asked once. Whoever calls it cannot tell the difference.
// Each thread remembers for itself.
#pragma once

#include <cstddef>

#include "common/signature.hpp"

namespace notp::sim {

inline constexpr size_t kRememberedSignaturesMax = 1 << 16;  // then all are forgotten

// What was just made with the key that `key` belongs to need not be verified.
void remember_signature(const PublicKey& key, ByteView message, ByteView signature);

// Of this thread. The keys of one world sign nothing in the next.
void forget_signatures();

}  // namespace notp::sim

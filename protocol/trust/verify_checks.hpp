// The single checks of signers, freshness statements and assignments. Private to verify.cpp, which
// has their order; the codes are those of verify_update().
#pragma once

#include <string_view>
#include <vector>

#include "protocol/trust/statements.hpp"

namespace notp::trust {

Result<void> check_signers(const Envelope& envelope, const std::vector<PublicKey>& keys,
                           uint32_t threshold, std::string_view whose);
Result<void> check_domain(std::string_view found, std::string_view expected, std::string_view what);

// By one of the root's freshness keys.
Result<void> check_freshness_signer(const Envelope& envelope, const Root& root);
Result<void> check_audience(std::string_view what, std::string_view named,
                            std::string_view audience);
Result<void> check_known_root(uint64_t root_version, const Root& root);
Result<void> check_sequence(const Freshness& freshness, uint64_t last);
Result<void> check_issued(std::string_view what, uint64_t sequence, TimeMs issued_ms,
                          TimeMs now_ms);
Result<void> check_expiry(std::string_view what, uint64_t sequence, TimeMs expires_ms,
                          TimeMs now_ms);
Result<void> check_complete(const Freshness& freshness,
                            const std::vector<model::LedgerId>& expected);

// `last` is the last one that was accepted; nullptr: none.
Result<void> check_assignment_sequence(const Assignment& assignment, const Assignment* last);
// Whether `own`, the assignment that counts, says that the reader `audience` is in class `named`.
Result<void> check_class(const ClassId& named, const Assignment* own, std::string_view audience,
                         TimeMs now_ms);

}  // namespace notp::trust

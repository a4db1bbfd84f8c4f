// The members of a JWK that are secret, whatever its kty.
#pragma once

#include <array>
#include <string_view>

namespace notp::jose {

// RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2; "priv" of AKP keys (ML-DSA).
inline constexpr std::array<std::string_view, 9> kPrivateMembers = {"d",  "p",   "q", "dp",  "dq",
                                                                    "qi", "oth", "k", "priv"};

}  // namespace notp::jose

#include "notp-client/txn/verify/verify_config.hpp"

#include <fmt/format.h>

#include "protocol/model/decision_terms.hpp"

namespace notp::txn {

Result<std::optional<VerifyConfig>> load_verify(const config::Section& root) {
  if (!root.has("txn.verify")) return std::nullopt;
  const config::Section section = root.section("txn.verify");
  for (const std::string& pointer : section.texts("tokens"))
    if (auto parsed = model::MaskPointer::parse("/input" + pointer); !parsed)
      return fail(ErrorCode::kConfig, fmt::format("txn.verify.tokens: {} is not a JSON pointer: {}",
                                                  pointer, parsed.error().message));
  return VerifyConfig{.rules = {.keys = section.text("keys"),
                                .audience = section.has("audience") ? section.text("audience")
                                                                    : root.text("trust_domain"),
                                .has_lane = root.has("lane")},
                      .tokens = section.texts("tokens")};
}

}  // namespace notp::txn

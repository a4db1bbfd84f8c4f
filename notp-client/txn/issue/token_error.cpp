#include "notp-client/txn/issue/token_error.hpp"

#include <array>

namespace notp::txn {
namespace {

constexpr size_t kDescriptionMax = 400;

constexpr std::array kTraits = {
#define NOTP_TXN_REFUSAL_TRAITS(name, text, status, code) RefusalTraits{text, status, code},
    NOTP_TXN_REFUSAL_TABLE(NOTP_TXN_REFUSAL_TRAITS)
#undef NOTP_TXN_REFUSAL_TRAITS
};

}  // namespace

const RefusalTraits& refusal_traits(Refusal refusal) {
  return kTraits.at(static_cast<size_t>(refusal));
}

std::unexpected<TokenError> token_refused(Refusal refusal, std::string description) {
  if (description.size() > kDescriptionMax) description.resize(kDescriptionMax);
  for (char& c : description)
    if (c < ' ' || c > '~' || c == '\\') c = '?';
  for (char& c : description)
    if (c == '"') c = '\'';
  return std::unexpected(TokenError{refusal, std::move(description)});
}

json::object error_document(const TokenError& error) {
  return {{"error", error.code()}, {"error_description", error.description}};
}

}  // namespace notp::txn

// Nodes that refuse what this registry sends.
#include <algorithm>
#include <cctype>

#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {
namespace {

// "1/payments v2" does not name "1/pay".
bool names_ledger(std::string_view text, const model::LedgerId& ledger) {
  const std::string name = ledger.text();
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if (end == text.size() || !(std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                                std::string_view("._-").contains(text[end])))
      return true;
  }
  return false;
}

}  // namespace

void Fleet::refused(const std::string& identity, const Error& why) {
  const MutexLock lock(mutex_);
  if (exceptions_.refusals.size() >= kRefusalsMax && !exceptions_.refusals.contains(identity))
    return;
  exceptions_.refusals[identity] = {why.code, why.message.substr(0, kRefusalBytesMax)};
  if (measures_.changed()) wake_.notify_one();
}

bool Fleet::has_refused(const std::string& identity) {
  const MutexLock lock(mutex_);
  return exceptions_.refusals.contains(identity);
}

void Fleet::show_refusal(wire::NodeRow& row) const {
  const auto found = exceptions_.refusals.find(row.identity);
  if (found == exceptions_.refusals.end()) return;
  const Refusal& refusal = found->second;
  const auto is_named = [&](const wire::NodeLedger& ledger) {
    return names_ledger(refusal.message, ledger.ledger);
  };
  const bool names_none = std::ranges::none_of(row.ledgers, is_named);
  for (wire::NodeLedger& ledger : row.ledgers) {
    if (!names_none && !is_named(ledger)) continue;
    ledger.code = static_cast<uint32_t>(refusal.code);
    ledger.message = refusal.message;
  }
}

}  // namespace notp::fleet

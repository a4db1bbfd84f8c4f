#include "notp-server/sources/issuer_log.hpp"

#include <utility>

#include "common/log.hpp"
#include "notp-server/sources/document.hpp"

namespace notp::sources {
void IssuerLog::fetch_failed(const Error& error) {
  if (std::exchange(fetch_said_, error.message) == error.message) return;
  const std::string_view rule = rule_of(error);
  if (rule.empty())
    log::write(log::Level::kWarn, "source_not_fetched", error,
               {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
  else if (rule == kPrivateMemberRule || rule == kSymmetricKeyRule)
    log::write(log::Level::kError, "source_key_leaked", error,
               {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
  else
    log::write(log::Level::kError, "source_refused", error,
               {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
}

void IssuerLog::publish_failed(const Error& error) {
  if (std::exchange(publish_said_, error.message) == error.message) return;
  log::write(log::Level::kError, "source_keys_not_published", error,
             {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
}

void IssuerLog::state_is(wire::IssuerState state) {
  if (std::exchange(state_, state) == state) return;
  if (state == wire::IssuerState::kFailing)
    log::error("source_failing", {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
  if (state == wire::IssuerState::kOk)
    log::info("source_good", {{"source", name_}, {"issuer", issuer_}, {"ledger", ledger_}});
}

}  // namespace notp::sources

#include "tools/notp/top/status_feed.hpp"

#include <algorithm>
#include <iterator>
#include <thread>

#include "common/limits.hpp"
#include "tools/notp/query/query_session.hpp"

namespace notp::cli {
namespace {

// 100,000 nodes are counted in 20 s.
constexpr TimeMs kFirstCountMs = 30'000;
constexpr auto kFirstCountPause = std::chrono::milliseconds(250);

}  // namespace

Result<wire::RegistryStatus> ask_status(RegistryClient& client) {
  wire::StatusRequest request{.rows_max = static_cast<uint32_t>(limits::kQueryRowsMax)};
  NOTP_ASSIGN(wire::RegistryStatus out, client.ask(request));
  while (out.more && !out.ledgers.empty()) {
    request.after = out.ledgers.back().ledger;
    NOTP_ASSIGN(wire::RegistryStatus page, client.ask(request));
    const bool forward = !page.ledgers.empty() && page.ledgers.front().ledger > *request.after;
    if (!forward) break;
    std::ranges::move(page.ledgers, std::back_inserter(out.ledgers));
    out.more = page.more;
  }
  return out;
}

Result<StatusFeed> StatusFeed::open(const Context& context) {
  NOTP_ASSIGN(Settings settings, context.settings());
  NOTP_ASSIGN(QuerySession session, open_query_session(context, settings));
  return StatusFeed(std::move(settings), std::move(session.trust_domain),
                    std::move(session.client));
}

void StatusFeed::set_meanwhile(RegistryClient::Meanwhile meanwhile) {
  meanwhile_ = std::move(meanwhile);
  if (client_) client_->set_meanwhile(meanwhile_);
}

Result<wire::RegistryStatus> StatusFeed::ask() {
  if (!client_) {
    NOTP_ASSIGN(client_, RegistryClient::connect(settings_, trust_domain_, 0, {}, meanwhile_));
  }
  Result<wire::RegistryStatus> status = ask_status(*client_);
  // One that does not answer may still be open, and is of no use.
  const bool is_answer =
      status || (client_->is_open() && status.error().code != ErrorCode::kTimeout &&
                 status.error().code != ErrorCode::kCancelled);
  if (!is_answer) client_.reset();
  return status;
}

Result<wire::RegistryStatus> StatusFeed::ask_first() {
  const TimeMs until_ms = read_clock().boot_ms + kFirstCountMs;
  while (true) {
    Result<wire::RegistryStatus> status = ask();
    const bool counts =
        !status && client_ != nullptr && status.error().code == ErrorCode::kUnavailable;
    if (!counts || read_clock().boot_ms >= until_ms) return status;
    std::this_thread::sleep_for(kFirstCountPause);
  }
}

}  // namespace notp::cli

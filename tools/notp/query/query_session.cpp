#include "tools/notp/query/query_session.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::cli {

Result<QuerySession> open_query_session(const Context& context, const Settings& settings) {
  QuerySession session;
  if (!settings.root.empty()) {
    NOTP_ASSIGN(session.chain, RootChain::load(settings, context.environment));
    session.trust_domain = session.chain->newest()->trust_domain;
    NOTP_ASSIGN(session.client,
                connect_to_registry(settings, *session.chain, {}, context.now.wall_ms));
    session.chain->warn_of_expiry(context.output, context.now.wall_ms);
    return session;
  }
  if (settings.trust_domain.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "the trust domain is not known", {}}.with(
        "hint", "give --root FILE or --trust-domain"));
  session.trust_domain = settings.trust_domain;
  NOTP_ASSIGN(session.client, RegistryClient::connect(settings, settings.trust_domain, 0, {}));
  return session;
}

Result<std::vector<wire::HistoryRow>> ask_history(RegistryClient& client,
                                                  const model::LedgerId& ledger,
                                                  uint32_t rows_max) {
  std::vector<wire::HistoryRow> rows;
  while (rows.size() < rows_max) {
    wire::HistoryRequest request;
    request.ledger = ledger;
    request.below_version = rows.empty() ? 0 : rows.back().version;
    request.rows_max =
        static_cast<uint32_t>(std::min<size_t>(rows_max - rows.size(), limits::kQueryRowsMax));
    NOTP_ASSIGN(wire::HistoryPage page, client.ask(request));
    const bool stuck =
        page.rows.empty() || (!rows.empty() && page.rows.front().version >= rows.back().version);
    if (stuck) break;
    std::ranges::move(page.rows, std::back_inserter(rows));
    if (!page.more) break;
  }
  if (rows.size() > rows_max) rows.resize(rows_max);
  return rows;
}

Result<std::vector<wire::NodeRow>> ask_nodes(RegistryClient& client) {
  std::vector<wire::NodeRow> rows;
  while (true) {
    wire::NodesRequest request;
    request.after = rows.empty() ? std::string() : rows.back().identity;
    request.rows_max = static_cast<uint32_t>(limits::kQueryRowsMax);
    NOTP_ASSIGN(wire::NodesPage page, client.ask(request));
    const bool forward =
        !page.rows.empty() && (rows.empty() || page.rows.front().identity > rows.back().identity);
    if (!forward) break;
    std::ranges::move(page.rows, std::back_inserter(rows));
    if (!page.more) break;
  }
  return rows;
}

Result<std::vector<wire::PendingRow>> ask_pending(RegistryClient& client,
                                                  std::optional<model::LedgerId> ledger) {
  std::vector<wire::PendingRow> rows;
  wire::PendingRequest request{.ledger = std::move(ledger)};
  while (true) {
    NOTP_ASSIGN(wire::PendingPage page, client.ask(request));
    if (page.rows.empty()) break;
    const wire::PendingPlace last{page.rows.back().ledger, page.rows.back().release_hash};
    if (request.after && last <= *request.after) break;
    request.after = last;
    std::ranges::move(page.rows, std::back_inserter(rows));
    if (!page.more) break;
  }
  return rows;
}

Result<ShownLedgers> ask_ledgers(RegistryClient& client) {
  ShownLedgers out;
  while (true) {
    wire::LedgersRequest request;
    if (!out.heads.empty()) request.after = out.heads.back().ledger;
    NOTP_ASSIGN(wire::LedgersPage page, client.ask(request));
    std::ranges::move(page.damaged, std::back_inserter(out.damaged));
    const bool forward =
        !page.heads.empty() && (!request.after || page.heads.front().ledger > *request.after);
    if (!forward) break;
    std::ranges::move(page.heads, std::back_inserter(out.heads));
    if (!page.more) break;
  }
  return out;
}

Result<wire::RecoveryStatus> ask_recovery(RegistryClient& client) {
  NOTP_ASSIGN(wire::RecoveryStatus out, client.ask(wire::RecoveryRequest{}));
  while (out.more && !out.rows.empty()) {
    const model::LedgerId last = out.rows.back().ledger;
    NOTP_ASSIGN(wire::RecoveryStatus page, client.ask(wire::RecoveryRequest{.after = last}));
    const bool forward = !page.rows.empty() && page.rows.front().ledger > last;
    if (!forward) break;
    std::ranges::move(page.rows, std::back_inserter(out.rows));
    out.more = page.more;
  }
  return out;
}

std::string first_line(const std::string& message) {
  return printable(message.substr(0, message.find('\n')), 72);
}

}  // namespace notp::cli

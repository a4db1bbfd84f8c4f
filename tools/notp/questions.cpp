#include "tools/notp/questions.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::cli {

Result<Questions> open_questions(const Context& context, const Settings& settings) {
  Questions questions;
  if (!settings.root.empty()) {
    NOTP_ASSIGN(questions.chain, RootChain::load(settings, context.environment));
    questions.trust_domain = questions.chain->newest()->trust_domain;
    NOTP_ASSIGN(questions.client,
                connect_to_registry(settings, *questions.chain, {}, context.now.wall_ms));
    questions.chain->warn_of_expiry(context.output, context.now.wall_ms);
    return questions;
  }
  if (settings.trust_domain.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "the trust domain is not known", {}}.with(
        "hint", "give --root FILE or --trust-domain"));
  questions.trust_domain = settings.trust_domain;
  NOTP_ASSIGN(questions.client, RegistryClient::connect(settings, settings.trust_domain, 0, {}));
  return questions;
}

Result<std::vector<wire::HistoryRow>> ask_history(RegistryClient& client, const LedgerId& ledger,
                                                  uint32_t rows_max) {
  std::vector<wire::HistoryRow> rows;
  while (rows.size() < rows_max) {
    wire::HistoryQuery query;
    query.ledger = ledger;
    query.below_version = rows.empty() ? 0 : rows.back().version;
    query.rows_max =
        static_cast<uint32_t>(std::min<size_t>(rows_max - rows.size(), limits::kQueryRowsMax));
    NOTP_ASSIGN(wire::Answer answer, client.ask({0, query}));
    const bool stuck = answer.history.empty() ||
                       (!rows.empty() && answer.history.front().version >= rows.back().version);
    if (stuck) break;
    std::ranges::move(answer.history, std::back_inserter(rows));
    if (!answer.more) break;
  }
  if (rows.size() > rows_max) rows.resize(rows_max);
  return rows;
}

Result<std::vector<wire::NodeRow>> ask_nodes(RegistryClient& client) {
  std::vector<wire::NodeRow> rows;
  while (true) {
    wire::NodesQuery query;
    query.after = rows.empty() ? std::string() : rows.back().identity;
    query.rows_max = static_cast<uint32_t>(limits::kQueryRowsMax);
    NOTP_ASSIGN(wire::Answer answer, client.ask({0, query}));
    const bool forward = !answer.nodes.empty() &&
                         (rows.empty() || answer.nodes.front().identity > rows.back().identity);
    if (!forward) break;
    std::ranges::move(answer.nodes, std::back_inserter(rows));
    if (!answer.more) break;
  }
  return rows;
}

Result<ShownLedgers> ask_ledgers(RegistryClient& client) {
  ShownLedgers out;
  while (true) {
    wire::LedgersQuery query;
    if (!out.heads.empty()) query.after = out.heads.back().ledger;
    NOTP_ASSIGN(wire::Answer answer, client.ask({0, query}));
    std::ranges::move(answer.damaged, std::back_inserter(out.damaged));
    const bool forward =
        !answer.ledgers.empty() && (!query.after || answer.ledgers.front().ledger > *query.after);
    if (!forward) break;
    std::ranges::move(answer.ledgers, std::back_inserter(out.heads));
    if (!answer.more) break;
  }
  return out;
}

std::string first_line(const std::string& message) {
  return printable(message.substr(0, message.find('\n')), 72);
}

}  // namespace notp::cli

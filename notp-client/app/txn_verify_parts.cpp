#include "notp-client/app/txn_verify_parts.hpp"

#include "common/rego/txn_module.hpp"
#include "notp-client/txn/http/release_facts.hpp"
#include "notp-client/txn/issue/token_answer.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::client {
namespace {

// What a service of this program issues, its nodes take.
static_assert(txn::kTxnTokenTyp == txn::kTxnCheckedTyp);
static_assert(limits::kTxnTokenBytesMax <= rego::kTxnTokenBytesMax);
static_assert(limits::kTxnLifeMsMax <= rego::kTxnLifeS * 1'000);
static_assert(limits::kTxnSkewMs == rego::kTxnAheadS * 1'000);

using Keys = std::shared_ptr<const jose::KeySet>;

boost::asio::awaitable<Keys> keys_of(std::shared_ptr<txn::CurrentFacts> facts, std::string name) {
  const txn::ReleaseFactsPtr known = co_await facts->get();
  co_return known ? known->find(name) : nullptr;
}

}  // namespace

std::optional<decision::TxnWatch> open_txn_watch(const ClientConfig& config, TxnVerifyPlace place) {
  if (!config.txn_verify || config.txn_verify->tokens.empty()) return std::nullopt;
  const txn::VerifyConfig& verify = *config.txn_verify;
  auto facts = std::make_shared<txn::CurrentFacts>(
      txn::ReleaseFactsOptions{.keys = {verify.rules.keys}, .deny_list = {}}, place.pdp, place.pool,
      std::move(place.load));
  decision::TxnWatchOptions options{
      .rules = verify.rules,
      .tokens = verify.tokens,
      .counts = config.pdp.kind == pdp::PdpKind::kEmbedded,
      .keys = [facts, name = verify.rules.keys] { return keys_of(facts, name); },
      .unknown_key = {},
      .now_ms = [] { return read_clock().wall_ms; }};
  if (place.unknown_keys)
    options.unknown_key = [report = std::move(place.unknown_keys)](txn::TxnSigner signer) {
      if (!signer.issuer.empty()) report({{std::move(signer.issuer), std::move(signer.kid)}});
    };
  return decision::TxnWatch(std::move(options), place.metrics);
}

}  // namespace notp::client

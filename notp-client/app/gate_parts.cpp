#include "notp-client/app/gate_parts.hpp"

#include <algorithm>
#include <array>

#include "common/random.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "notp-client/pdp/embedded_snapshot.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::client {
namespace {

// As a record would have it, as far as that is known here.
Result<std::optional<Bytes>> masked(const pdp::ActiveSet& set, const model::LedgerId& ledger,
                                    ByteView result) {
  for (const auto& [name, release] : set.ledgers)
    if (std::ranges::find(release.data_roots, model::kLogRulesRoot) != release.data_roots.end())
      return fail(ErrorCode::kDenied, "a policy says what of a result is recorded");
  decision::MaskRules rules;
  if (const auto& terms = set.ledgers.at(ledger).terms) {
    NOTP_ASSIGN(rules, decision::MaskRules::from_terms(terms->mask));
  }
  const std::array<const decision::MaskRules*, 1> all = {&rules};
  SystemRandom random;
  return decision::LogMask(all, random).apply(model::MaskPart::kResult, result);
}

}  // namespace

agent::ReplayGateParts gate_parts(const ClientConfig& config, DecisionRecords* records,
                                  prometheus::Registry& metrics) {
  const bool is_embedded = config.pdp.kind == pdp::PdpKind::kEmbedded;
  return {.log = is_embedded && records ? &records->log() : nullptr,
          .worker = {.worker = config.pdp.embedded.engine.worker},
          .snapshot = [builtins = config.pdp.embedded.builtins](
                          pdp::ActiveSetPtr set,
                          const model::BlobLoader& load) -> Result<rego::SnapshotPtr> {
            return pdp::embedded_snapshot(std::move(set), load, builtins, nullptr);
          },
          .mask = masked,
          .metrics = metrics};
}

}  // namespace notp::client

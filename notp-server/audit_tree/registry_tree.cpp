#include "notp-server/audit_tree/registry_tree.hpp"

#include <utility>

#include "common/log.hpp"

namespace notp::audit {

Result<std::unique_ptr<RegistryTree>> RegistryTree::open(const std::filesystem::path& folder,
                                                         const AuditStore& store,
                                                         const TreeOwner& owner,
                                                         RegistryTreeOptions options) {
  NOTP_ASSIGN(OpenedTree opened, open_tree(folder, owner, options.clock().wall_ms));
  return std::unique_ptr<RegistryTree>(
      new RegistryTree(std::move(opened), store, std::move(options)));
}

RegistryTree::RegistryTree(OpenedTree opened, const AuditStore& store, RegistryTreeOptions options)
    : clock_(options.clock),
      opened_(std::move(opened)),
      writer_(*opened_.tree, {.clock = options.clock,
                              .seal_ms = options.seal_ms,
                              .on_sealed = [this](const SealedCheckpoint&) { sealed(); }}),
      receipts_(
          *opened_.tree, opened_.announcement,
          [this](const record::TreeEntry& entry) { return writer_.try_add(entry); },
          receipt_counters_),
      witnesses_(*opened_.tree,
                 {.witnesses = std::move(options.witnesses),
                  .client = std::move(options.client),
                  .retry_ms = options.witness_retry_ms,
                  .cosigned = [this](uint64_t size, record::Cosignature cosignature,
                                     const PublicKey& key) { cosigned(size, cosignature, key); }}),
      reads_(writer_),
      proofs_(store, *opened_.tree, opened_.announcement) {}

RegistryTree::~RegistryTree() { stop(); }

void RegistryTree::start() {
  writer_.start();
  witnesses_.start();
}

void RegistryTree::stop() {
  witnesses_.stop();
  writer_.stop();
}

void RegistryTree::sealed() {
  receipts_.sealed();
  witnesses_.sealed();
}

void RegistryTree::granted(const std::string& node, const wire::LogOffer& offer,
                           Receipts::Send send) {
  writer_.post(
      [this, node, offer, send = std::move(send)]() mutable {
        receipts_.granted(node, offer, std::move(send), clock_().wall_ms);
      },
      limits::kSessionsWaitingMax);
}

void RegistryTree::witnessed(const std::string& node, wire::LogWitness witness,
                             const std::optional<PublicKey>& key) {
  writer_.post([this, node, witness = std::move(witness), key] {
    receipts_.witnessed(node, witness, key, clock_().wall_ms);
  });
}

void RegistryTree::cosigned(uint64_t size, const record::Cosignature& cosignature,
                            const PublicKey& key) {
  writer_.post([this, size, cosignature, key] {
    if (const auto added = opened_.tree->cosigned(size, cosignature, key); !added)
      log::write(log::Level::kError, "cosignature_not_kept", added.error(),
                 {{"identity", cosignature.name}});
  });
}

}  // namespace notp::audit

// The registry's tree as a whole: its files, the thread that seals it, receipts to nodes, and
// witnesses.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit_tree/proofs.hpp"
#include "notp-server/audit_tree/reads.hpp"
#include "notp-server/audit_tree/receipts.hpp"
#include "notp-server/audit_tree/tree_files.hpp"
#include "notp-server/audit_tree/tree_writer.hpp"
#include "notp-server/audit_tree/witnesses.hpp"

namespace notp::audit {

struct RegistryTreeOptions {
  std::function<Now()> clock = read_clock;
  int64_t seal_ms = limits::kTreeSealMs;
  std::vector<WitnessAddress> witnesses;
  int64_t witness_retry_ms = limits::kWitnessRetryMs;
  http::Client client;  // for witnesses
};

// Thread-safe.
class RegistryTree {
 public:
  // `store` outlives it. The errors of open_tree().
  static Result<std::unique_ptr<RegistryTree>> open(const std::filesystem::path& folder,
                                                    const AuditStore& store, const TreeOwner& owner,
                                                    RegistryTreeOptions options);
  ~RegistryTree();
  RegistryTree(const RegistryTree&) = delete;
  RegistryTree& operator=(const RegistryTree&) = delete;

  void start();
  // Seals what waits and ends the threads. Blocking; a second call does nothing.
  void stop();

  TreeWriter& writer() { return writer_; }
  const TreeLog& log() const { return *opened_.tree; }
  Reads& reads() { return reads_; }
  const Proofs& proofs() const { return proofs_; }
  const ReceiptCounters& receipt_counters() const { return receipt_counters_; }

  // A session of a node was granted its log. `send` is called on the thread of the writer, and must
  // not block.
  void granted(const std::string& node, const wire::LogOffer& offer, Receipts::Send send);
  // The answer to a receipt. One that finds no room is dropped: the node gets its next receipt in
  // its next session.
  void witnessed(const std::string& node, wire::LogWitness witness,
                 const std::optional<PublicKey>& key);

  // As copy_database().
  Result<void> copy_to(const std::filesystem::path& file) const {
    return opened_.database->copy_to(file);
  }

 private:
  RegistryTree(OpenedTree opened, const AuditStore& store, RegistryTreeOptions options);
  void sealed();
  void cosigned(uint64_t size, const record::Cosignature& cosignature, const PublicKey& key);

  const std::function<Now()> clock_;
  const OpenedTree opened_;
  ReceiptCounters receipt_counters_;
  TreeWriter writer_;
  Receipts receipts_;  // of the writer's thread
  Witnesses witnesses_;
  Reads reads_;
  const Proofs proofs_;
};

}  // namespace notp::audit

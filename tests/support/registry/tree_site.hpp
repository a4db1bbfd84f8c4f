// A registry's audit store with its tree and the writer that fills both, in a folder.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <future>
#include <memory>
#include <optional>

#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"
#include "tests/support/registry/node_logs.hpp"

namespace notp::samples {

namespace fs = std::filesystem;

inline constexpr TimeMs kTreeNowMs = 1'796'000'000'000;
inline const std::string kTreeRegistry = "spiffe://core-platform.internal/registry/main";

// A registry whose certificate is made for each announcement.
inline audit::TreeOwner tree_owner(std::string registry = kTreeRegistry) {
  return {.trust_domain = "core-platform.internal",
          .registry = registry,
          .signer = [registry]() -> Result<record::AnnouncementSigner> {
            auto made = x509::make_key(x509::KeyType::kP256);
            if (!made) return std::unexpected(made.error());
            auto key = std::make_shared<x509::Key>(*std::move(made));
            x509::Draft draft;
            draft.common_name = "registry";
            draft.uris = {registry};
            draft.not_after_ms = 3'600'000;
            const auto certificate = x509::sign_own(draft, key->get());
            if (!certificate) return std::unexpected(certificate.error());
            NOTP_ASSIGN(Bytes der, x509::der_of(certificate->get()));
            return record::AnnouncementSigner{{std::move(der)}, [key](ByteView message) {
                                                return x509::sign_message(key->get(), message);
                                              }};
          }};
}

class TreeSite {
 public:
  explicit TreeSite(fs::path audit_folder) : folder(std::move(audit_folder)) { start(); }
  ~TreeSite() { stop(); }

  void start(audit::RegistryTreeOptions options = {}) {
    auto opened = audit::DayFiles::open(folder, {.wall_ms = [] { return kTreeNowMs; }});
    REQUIRE_MESSAGE(opened, opened.error().message);
    store = *std::move(opened);
    auto tree_opened = audit::RegistryTree::open(folder, *store, tree_owner(), std::move(options));
    REQUIRE_MESSAGE(tree_opened, tree_opened.error().message);
    tree = *std::move(tree_opened);
    tree->start();
    writer = std::make_unique<audit::LogWriter>(*store,
                                                audit::LogWriterOptions{.tree = &tree->writer()});
    REQUIRE(writer->start());
  }
  void stop() {
    if (writer) writer->stop();
    if (tree) tree->stop();
    writer.reset();
    tree.reset();
    store.reset();
  }
  void restart() {
    stop();
    start();
  }

  void announce(const NodeLog& log) {
    const auto grant = answer([&](audit::LogWriter::Done done) {
      writer->announced(log.node, log.id, log.announcement(), std::move(done));
    });
    REQUIRE_MESSAGE(grant.code == 0, grant.message);
  }
  wire::LogGrant send(const NodeLog& log, const record::Segment& segment) {
    return answer(
        [&](audit::LogWriter::Done done) { writer->arrived(log.node, segment, std::move(done)); });
  }
  void take(NodeLog& log, size_t records) {
    const auto grant = send(log, log.next(records));
    REQUIRE_MESSAGE(grant.code == 0, grant.message);
    REQUIRE(grant.next == log.tree.size());
  }
  // Seals all that the writer has handed over before; returns the size of the tree.
  uint64_t seal() {
    record::TreeEntry mark;
    mark.kind = record::TreeEntryKind::kRead;
    mark.time_ms = 1;
    mark.by = "mark";
    // An offer goes through the writer behind what came before it.
    answer([&](audit::LogWriter::Done done) {
      writer->offered("spiffe://core-platform.internal/node/none", {}, std::move(done));
    });
    const auto index = tree->writer().append_now(mark);
    REQUIRE_MESSAGE(index, index.error().message);
    return *index + 1;
  }
  std::vector<record::TreeEntry> entries() const {
    std::vector<record::TreeEntry> out;
    const uint64_t end = tree->log().size();
    while (out.size() < end) {
      const auto page = tree->log().entries(out.size(), end, 64 << 10);
      REQUIRE(page);
      for (const Bytes& bytes : *page) {
        auto entry = record::decode_tree_entry(bytes);
        REQUIRE(entry);
        out.push_back(*std::move(entry));
      }
    }
    return out;
  }
  // Sizes of a log's checkpoints in the tree, in the order of their leaves.
  std::vector<uint64_t> checkpoints(const record::LogId& log) const {
    std::vector<uint64_t> out;
    for (const record::TreeEntry& entry : entries())
      if (entry.kind == record::TreeEntryKind::kCheckpoint && entry.log == log)
        out.push_back(entry.size);
    return out;
  }

  const fs::path folder;
  std::unique_ptr<audit::DayFiles> store;
  std::unique_ptr<audit::RegistryTree> tree;
  std::unique_ptr<audit::LogWriter> writer;

 private:
  static wire::LogGrant answer(const std::function<void(audit::LogWriter::Done)>& begin) {
    auto promise = std::make_shared<std::promise<wire::LogGrant>>();
    begin([promise](wire::LogGrant grant) { promise->set_value(std::move(grant)); });
    return promise->get_future().get();
  }
};

}  // namespace notp::samples

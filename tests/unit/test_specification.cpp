// protocol/README.md and the pages it lists are the specification: its examples are the bytes that
// this build writes and reads, its tables are the values of the code.
#include <doctest/doctest.h>
#include <zstd.h>

#include <functional>
#include <map>
#include <sstream>

#include "notp-server/registry/git_text.hpp"
#include "protocol/delta/inventory.hpp"
#include "protocol/delta/program.hpp"
#include "protocol/model/validate.hpp"
#include "protocol/session/subscription_table.hpp"
#include "protocol/transport/join_token.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/specification_samples.hpp"
#include "tests/support/wire/wire_samples.hpp"

using namespace notp;
using namespace notp::samples::specification;

namespace {

// --- examples: written by this build and compared with the document

std::map<std::string, wire::Message> messages() {
  const World& w = world();
  const trust::ReleaseRef head2{kLedger, 1, 2, w.hash2, w.release2.content_root};
  wire::Want want, whole;
  want.ledger = whole.ledger = kLedger;
  want.base = w.base1;
  wire::Welcome welcome;
  welcome.server = "notp-server 0.1.0";
  welcome.trust_domain = kDomain;
  welcome.root_version = 1;
  session::SubscriptionTable table;  // of the session that Hello begins
  table.count(want);
  wire::Offer named_offer;
  named_offer.ledger = kLedger;
  named_offer.version = 2;
  named_offer.base = w.base1;
  named_offer.artifact = delta::artifact_id(w.hash1, w.hash2);
  named_offer.size = w.artifact_delta.size();
  wire::Offer offer = named_offer;
  CHECK(table.compact(offer));
  wire::Offer partial_offer = named_offer;
  const Hash lacking = w.model1.tree->files().begin()->second.hash;
  const auto rest = delta::partial_base(*w.model1.tree, {lacking}, {});
  REQUIRE(rest.has_value());
  partial_offer.partial = wire::PartialBase{rest->content_root(), {}};
  partial_offer.artifact = delta::artifact_id(rest->content_root(), w.hash2);
  const delta::Inventory held =
      delta::take_inventory(*w.model1.tree, {}, delta::InventoryForm::kShortest);
  wire::Commit commit;
  commit.ledger = kLedger;
  commit.version = 2;
  commit.state = wire::CommitState::kActive;
  commit.freshness = trust::FreshnessState::kFresh;
  table.compact(commit);
  wire::PublishResult result;
  result.request = 1;
  result.version = 2;
  result.release_hash = w.hash2;
  result.commit = "0123456789abcdef0123456789abcdef01234567";
  return {{"hello-frame", wire::Hello{{1}, "notp-client 0.1.0", 1, 0, {want}}},
          {"welcome-frame", welcome},
          {"offer-frame", offer},
          {"offer-named-frame", named_offer},
          {"chunk-frame", wire::Chunk{0, ByteView(w.artifact_delta).substr(0, 16)}},
          {"commit-frame", commit},
          {"want-more-frame", wire::WantMore{{whole}}},
          {"inventory-request-frame", wire::InventoryRequest{0, false}},
          {"inventory-frame", wire::Inventory{0, held.files, held.list, held.sketch}},
          {"offer-partial-frame", partial_offer},
          {"ping-frame", wire::Ping{1}},
          {"pong-frame", wire::Pong{1}},
          {"error-frame", wire::ErrorMessage{ErrorCode::kOverloaded, "try later", 1000}},
          {"bye-frame", wire::Bye{"the registry is stopping", 1500}},
          {"publish-frame",
           wire::Publish{1, kLedger, w.base1, 2, w.hash1, w.artifact_delta.size(), "Eve joins", 1}},
          {"publish-result-frame", result},
          {"request-history-frame", wire::Request{2, wire::HistoryRequest{kLedger, 0, 10}}},
          {"request-nodes-frame", wire::Request{3, wire::NodesRequest{"", 100}}},
          {"request-ledgers-frame", wire::Request{4, wire::LedgersRequest{}}},
          {"request-withdraw-frame", wire::Request{5, wire::Withdraw{kLedger, 1, "bob has left"}}},
          {"root-update-frame", wire::RootUpdate{w.root2_envelope}},
          {"freshness-update-frame",
           session::make_freshness_update(w.freshness1, signature_of(w.freshness1), nullptr)},
          {"freshness-renewal-frame",
           session::make_freshness_update(w.freshness2, signature_of(w.freshness2), &w.freshness1)},
          {"freshness-class-renewal-frame",
           session::make_freshness_update(w.class_freshness2, signature_of(w.class_freshness2),
                                          &w.class_freshness1)},
          {"assignment-frame", wire::Assignment{w.assignment_envelope}},
          {"response-frame", wire::Response{4, 0, {}, wire::LedgersPage{{head2}, {}, false}}}};
}

struct Example {
  Bytes encoded;
  std::function<void(ByteView)> check = [](ByteView) {};
  bool by_zstd = false;  // bytes differ between versions of zstd; all of them decode
};
using Examples = std::map<std::string, Example>;

// The version whose output the document shows.
constexpr unsigned kZstdVersion = 10504;

Bytes bytes_of(const Hash& hash) { return Bytes(hash.view()); }

void add_varints(Examples& out) {
  const std::pair<std::string, uint64_t> values[] = {{"varint-0", 0},
                                                     {"varint-127", 127},
                                                     {"varint-128", 128},
                                                     {"varint-300", 300},
                                                     {"varint-max", UINT64_MAX}};
  for (const auto& [name, number] : values) {
    Bytes encoded;
    put_varint(encoded, number);
    out[name] = {encoded, [value = number](ByteView bytes) {
                   CHECK(take_varint(bytes) == value);
                   CHECK(bytes.empty());
                 }};
  }
}

void add_frames(Examples& out) {
  for (const auto& [name, sample] : messages())
    out[name] = {wire::encode_frame(sample), [message = sample](ByteView bytes) {
                   wire::FrameParser parser;
                   for (const char byte : bytes.substr(0, bytes.size() - 1)) {
                     parser.feed({&byte, 1});
                     CHECK(parser.next()->has_value() == false);
                   }
                   parser.feed(bytes.substr(bytes.size() - 1));
                   const auto decoded = parser.next();
                   REQUIRE((decoded && *decoded));
                   CHECK((*decoded)->index() == message.index());
                   CHECK(wire::encode_frame(**decoded) == bytes);
                   CHECK_FALSE(parser.in_frame());
                 }};
}

// The input of a folder's hash.
Bytes folder_input(std::initializer_list<std::tuple<char, std::string_view, Hash>> entries) {
  Bytes out("notp.tree.v1\0", 13);
  for (const auto& [kind, name, hash] : entries) {
    out += kind;
    put_varint(out, name.size());
    out.append(name).append(hash.view());
  }
  return out;
}

void add_model(Examples& out) {
  const model::Tree& tree = *world().model1.tree;
  const auto hash_at = [&](std::string_view path) { return tree.find(path)->hash; };
  const auto folder_at = [&](std::string_view path) { return tree.folders().find(path)->second; };
  out["file-manifest"] = {kTexts1.at("manifest.json")};
  out["file-allow"] = {kTexts1.at("authz/allow.rego")};
  out["file-data"] = {kTexts1.at("authz/data.json")};
  Bytes blob("notp.blob.v1\0\0\0\0\0\0\0\0", 20);
  const std::string& data = kTexts1.at("authz/data.json");
  blob.append(1, static_cast<char>(data.size())).append(data);
  out["blob-input-data"] = {
      blob, [&, data](ByteView bytes) { CHECK(sha256(bytes) == model::blob_hash(data)); }};
  out["blob-manifest"] = {bytes_of(hash_at("manifest.json"))};
  out["blob-allow"] = {bytes_of(hash_at("authz/allow.rego"))};
  out["blob-data"] = {bytes_of(hash_at("authz/data.json"))};
  out["tree-input-authz"] = {folder_input({{1, "allow.rego", hash_at("authz/allow.rego")},
                                           {1, "data.json", hash_at("authz/data.json")}}),
                             [=](ByteView bytes) { CHECK(sha256(bytes) == folder_at("authz")); }};
  out["tree-authz"] = {bytes_of(folder_at("authz"))};
  out["tree-input-root"] = {folder_input({{2, "authz", folder_at("authz")},
                                          {1, "manifest.json", hash_at("manifest.json")}}),
                            [&](ByteView bytes) { CHECK(sha256(bytes) == tree.content_root()); }};
  out["content-root"] = {bytes_of(tree.content_root())};
}

// Verifies a release as a holder of the first root with `floor` does.
Result<trust::VerifiedRelease> verify(ByteView envelope, const trust::Floor& floor) {
  trust::Trusted trusted{
      std::make_shared<const trust::Root>(world().root), 0, {}, std::string(kNode)};
  trusted.ledgers[kLedger].floor = floor;
  trust::Update update;
  update.release = envelope;
  update.release_ledger = kLedger;
  trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs);
  if (verdict.error) return std::unexpected(*verdict.error);
  return *std::move(verdict.release);
}

void add_trust(Examples& out) {
  const World& w = world();
  out["publisher-seed"] = {Bytes(32, '\x02')};
  out["publisher-public-key"] = {Bytes(publisher_key().public_key().view())};
  out["pae"] = {trust::pre_authentication_encoding("application/example", "hello")};
  out["root-payload"] = {w.root.encode(), [](ByteView bytes) {
                           CHECK(trust::Root::decode(bytes)->encode() == bytes);
                         }};
  out["root-envelope"] = {w.root_envelope, [](ByteView bytes) {
                            CHECK(trust::verify_pinned_root(bytes, kDomain).has_value());
                          }};
  out["release-payload"] = {w.release1.encode(), [](ByteView bytes) {
                              CHECK(trust::Release::decode(bytes)->encode() == bytes);
                            }};
  out["release-hash"] = {bytes_of(w.hash1)};
  out["release-envelope"] = {
      w.envelope1, [&w](ByteView bytes) {
        const auto verified = verify(bytes, trust::Floor{});
        REQUIRE(verified.has_value());
        CHECK(verified->ref.release_hash == w.hash1);
        CHECK(trust::count_signers(*trust::Envelope::decode(bytes),
                                   std::vector{publisher_key().public_key()}) == 1);
      }};
}

// Accepts the chain and the statements of freshness as a node with only the first root does.
void add_chain(Examples& out) {
  const World& w = world();
  out["next-root-payload"] = {w.root2.encode(), [](ByteView bytes) {
                                CHECK(trust::Root::decode(bytes)->encode() == bytes);
                              }};
  out["next-root-envelope"] = {
      w.root2_envelope, [&w](ByteView bytes) {
        const trust::Trusted trusted{
            std::make_shared<const trust::Root>(w.root), 0, {}, std::string(kNode)};
        trust::Update update;
        update.root_chain = {bytes};
        const trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs + 3'660'000);
        CHECK_FALSE(verdict.error);
        REQUIRE(verdict.root_chain.size() == 1);
        CHECK_FALSE(verdict.freshness_key_changed);  // there was none before
      }};
  out["freshness-payload"] = {w.freshness1.encode(), [](ByteView bytes) {
                                CHECK(trust::Freshness::decode(bytes)->encode() == bytes);
                              }};
  out["freshness-envelope"] = {
      w.freshness1_envelope, [&w](ByteView bytes) {
        trust::Trusted trusted{std::make_shared<const trust::Root>(w.root2),
                               0,
                               {{kLedger, {{1, 2, w.hash2}, {}}}},
                               std::string(kNode)};
        trust::Update update;
        update.freshness = bytes;
        update.expected = {kLedger};
        const trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs + 3'660'000);
        CHECK_FALSE(verdict.error);
        CHECK(verdict.freshness);
      }};
}

// Accepts the assignment, and then the statement for its class.
void add_classes(Examples& out) {
  const World& w = world();
  out["class-freshness-payload"] = {
      w.class_freshness1.encode(), [](ByteView bytes) {
        const auto read = trust::Freshness::decode(
            trust::Envelope{Bytes(bytes), std::string(trust::kClassFreshnessType), {}});
        CHECK(read->encode() == bytes);
      }};
  out["assignment-payload"] = {w.assignment.encode(), [](ByteView bytes) {
                                 CHECK(trust::Assignment::decode(bytes)->encode() == bytes);
                               }};
  out["assignment-envelope"] = {w.assignment_envelope};
  out["class-freshness-envelope"] = {
      w.class_freshness1_envelope, [&w](ByteView bytes) {
        trust::Trusted trusted{std::make_shared<const trust::Root>(w.root2),
                               0,
                               {{kLedger, {{1, 2, w.hash2}, {}}}},
                               std::string(kNode)};
        trust::Update update;
        update.assignment = w.assignment_envelope;
        update.freshness = bytes;
        update.expected = {kLedger};
        const trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs + 3'660'000);
        CHECK_FALSE(verdict.error);
        CHECK((verdict.assignment && verdict.freshness));
      }};
}

// Acts as a receiver: envelope, verification, content, content root.
void check_artifact(ByteView artifact, const delta::ReleaseContent* base, const trust::Floor& floor,
                    const trust::Release& expected) {
  const auto envelope =
      delta::read_envelope(artifact, base ? base->envelope : trust::ReleaseEnvelope());
  REQUIRE(envelope.has_value());
  const auto verified = verify(*envelope, floor);
  REQUIRE(verified.has_value());
  CHECK(verified->release().version == expected.version);
  const auto applied = delta::apply_artifact(
      artifact, base, {verified->release().total_bytes, verified->release().file_count});
  REQUIRE(applied.has_value());
  CHECK(applied->tree->content_root() == verified->release().content_root);
}

void add_artifacts(Examples& out) {
  const World& w = world();
  out["artifact-id-full"] = {bytes_of(delta::artifact_id(Hash{}, w.hash1))};
  out["artifact-id-delta"] = {bytes_of(delta::artifact_id(w.hash1, w.hash2))};
  out["artifact-id-effort"] = {bytes_of(delta::artifact_id(w.hash1, w.hash2, 19))};
  out["artifact-full"] = {
      w.artifact_full,
      [&w](ByteView bytes) { check_artifact(bytes, nullptr, trust::Floor{}, w.release1); }, true};
  out["artifact-delta"] = {w.artifact_delta,
                           [&w](ByteView bytes) {
                             check_artifact(bytes, &w.side1, trust::Floor{1, 1, w.hash1},
                                            w.release2);
                           },
                           true};
  delta::Program program;
  program.modified = {{1, texts2().at("authz/data.json").size()}};
  program.added = {{"authz/admin.rego", texts2().at("authz/admin.rego").size()}};
  out["path-program-delta"] = {
      delta::encode_program(program, delta::BaseIndex(w.model1.tree.get())), [&w](ByteView bytes) {
        const auto parsed = delta::parse_program(bytes, delta::BaseIndex(w.model1.tree.get()), 4);
        REQUIRE(parsed.has_value());
        CHECK(parsed->modified.front().file == 1);
        CHECK(parsed->added.front().path == "authz/admin.rego");
        CHECK(w.artifact_delta.contains(bytes));
      }};
}

// The numbers of a leaf's cells, 2 bytes each; and the first of these cells.
std::pair<Bytes, Bytes> cells_of(uint64_t leaf) {
  delta::LeafSketch sketch;
  sketch.add(leaf);
  const Bytes encoded = sketch.encode();
  std::pair<Bytes, Bytes> out;
  for (size_t cell = 0; cell < encoded.size() / 12; ++cell) {
    const Bytes bytes = encoded.substr(12 * cell, 12);
    if (bytes == Bytes(12, '\0')) continue;
    out.first.append({static_cast<char>(cell >> 8), static_cast<char>(cell)});
    out.second = bytes;
  }
  return out;
}

// A node that holds release 1 except for a damaged file, and a registry with only release 2.
void add_inventory(Examples& out) {
  const World& w = world();
  const std::string_view path = "authz/allow.rego";
  const Hash blob = w.model1.tree->find(path)->hash;
  Bytes input("notp.leaf.v1\0", 13);
  put_varint(input, path.size());
  input.append(path).append(blob.view());
  out["leaf-input-allow"] = {input};
  const delta::LeafIndex damaged(w.model1.tree, {w.model1.tree->find("manifest.json")->hash});
  const auto inventory = delta::take_inventory(damaged, delta::InventoryForm::kListed);
  const Bytes leaf = Bytes(sha256(input).view().substr(0, 8));
  out["leaf-allow"] = {leaf, [=](ByteView bytes) { CHECK(inventory.list.contains(bytes)); }};
  out["inventory-list"] = {
      inventory.list, [](ByteView list) { CHECK(delta::check_inventory({2, Bytes(list), {}})); }};
  const auto [cells, cell] = cells_of(delta::leaf_of(path, blob));
  out["sketch-cells-allow"] = {cells};
  out["sketch-cell-allow"] = {cell};
  delta::LeafSketch sketch;
  for (const delta::LeafIndex::Held& each : damaged.held()) sketch.add(each.leaf);
  out["sketch-digest"] = {bytes_of(sha256(sketch.encode()))};
  const auto common = delta::find_common(inventory, std::vector<model::TreePtr>{w.model2.tree});
  REQUIRE((common && *common));
  const Hash root = (*common)->tree->content_root();
  out["without"] = {(*common)->excluded_leaves, [=](ByteView excluded_leaves) {
                      CHECK(delta::partial_base(damaged, excluded_leaves)->content_root() == root);
                    }};
  out["partial-base-root"] = {bytes_of(root)};
}

void add_enrolment(Examples& out) {
  Hash authority;
  authority.bytes.fill(0x05);
  const transport::JoinToken token{"registry.internal:7445", "registry.internal:7443",
                                   std::string(kDomain), authority,
                                   Bytes(transport::JoinToken::kSecretBytes, '\x06')};
  out["join-token"] = {token.encode() + "\n", [](ByteView text) {
                         const auto read =
                             transport::JoinToken::decode(text.substr(0, text.size() - 1));
                         REQUIRE(read);
                         CHECK(read->proof() == to_hex(Bytes(32, '\x06')));
                       }};
}

void add_git(Examples& out) {
  const World& w = world();
  const std::string commit =
      registry::commit_text({"First policies for payments", 1, w.hash1, w.release1.content_root});
  out["git-commit-message"] = {commit, [&w](ByteView text) {
                                 CHECK(registry::parse_commit_text(text)->release_hash == w.hash1);
                               }};
  registry::NewRelease tagged{.ref = trust::ref_of(w.release1, w.hash1),
                              .expected_head_hash = {},
                              .release = w.release1,
                              .envelope = w.envelope1,
                              .content = w.model1,
                              .publisher = "spiffe://core-platform.internal/publisher/ci",
                              .message = "First policies for payments"};
  out["git-tag-message"] = {registry::tag_text(tagged), [&w](ByteView text) {
                              CHECK(registry::parse_tag_envelope(text) == w.envelope1);
                            }};
  const auto withdrawal =
      registry::make_withdrawal("bob has left", tagged.publisher, kIssuedMs + 3'630'000);
  REQUIRE(withdrawal);
  out["git-withdrawal-message"] = {
      registry::withdrawal_text(w.release1, w.hash1, *withdrawal), [&w](ByteView text) {
        CHECK(registry::parse_withdrawal_text(text, 1, w.hash1)->reason == "bob has left");
      }};
}

Examples examples() {
  Examples out;
  add_varints(out);
  add_frames(out);
  add_model(out);
  add_trust(out);
  add_chain(out);
  add_classes(out);
  add_artifacts(out);
  add_inventory(out);
  add_enrolment(out);
  add_git(out);
  return out;
}

// Every message of a schema with the numbers and names of its fields.
std::map<std::string, std::map<std::string, std::string>> schema_messages(std::string_view path) {
  std::map<std::string, std::map<std::string, std::string>> out;
  std::string message;
  int depth = 0;
  for (std::string line : lines_of(source_text(path))) {
    line = line.substr(0, line.find("//"));
    std::istringstream words(line);
    std::vector<std::string> word;
    for (std::string one; words >> one;) word.push_back(one);
    if (word.empty()) continue;
    if (word[0] == "message") out[message = word[1]];
    const bool in_enum = word[0] == "enum" || depth < 0;
    if (word[0] == "enum" && depth == 0) message.clear();
    if (word[0] == "enum" && depth > 0) depth = -depth;  // until its end
    if (!message.empty() && !in_enum && word.size() >= 4 && word[word.size() - 2] == "=") {
      std::string number = word.back();
      std::erase(number, ';');
      out[message][number] = word[word.size() - 3];
    }
    if (depth < 0) {
      if (line.contains('}')) depth = -depth;
      continue;
    }
    depth += static_cast<int>(std::ranges::count(line, '{') - std::ranges::count(line, '}'));
  }
  return out;
}

}  // namespace

TEST_CASE("every example of the specification is what this build writes and reads") {
  const auto written = written_examples();
  const auto known = examples();
  for (const auto& [name, bytes] : written) {
    if (known.contains(name)) continue;
    CAPTURE(name);
    CHECK_MESSAGE(name.ends_with("-frame"), "it is in the document and not checked here");
    if (name.ends_with("-frame")) check_frame(name, bytes);
  }
  for (const auto& [name, example] : known) {
    CAPTURE(name);
    const auto found = written.find(name);
    CHECK_MESSAGE(found != written.end(), "the document has no example of this name");
    if (found == written.end()) continue;
    if (!example.by_zstd || ZSTD_versionNumber() == kZstdVersion)
      CHECK(to_hex(found->second) == to_hex(example.encoded));
    example.check(found->second);
  }
}

TEST_CASE("the model of the examples is a valid one") {
  const World& w = world();
  for (const model::ModelContent* model : {&w.model1, &w.model2}) {
    const auto report = model::validate_model(*model->tree, model->loader(), &test_checker());
    REQUIRE(report.has_value());
    CHECK(model::findings_text(report->findings) == "");
    CHECK(report->manifest.data_roots == w.release1.data_roots);
  }
}

TEST_CASE("the table of error codes is that of the code") {
  static constexpr std::string_view kActions[] = {"retry", "drop", "stop"};
  std::map<std::string, std::string> expected, written;
#define NOTP_ERROR_EXPECTED(code, wire, action, exit)                       \
  expected[#wire] = std::string(error_traits(ErrorCode::code).name) + " " + \
                    std::string(kActions[static_cast<size_t>(ErrorAction::action)]);
  NOTP_ERROR_TABLE(NOTP_ERROR_EXPECTED)
#undef NOTP_ERROR_EXPECTED
  for (const auto& row : table_under("## Error codes"))
    CHECK(written.emplace(row.at(0), row.at(1) + " " + row.at(2)).second);
  CHECK(written == expected);
}

TEST_CASE("the table of frame types is that of the code") {
  std::map<uint64_t, std::string> expected, written;
  for (const wire::Message& message : wire::samples::all())
    expected[static_cast<uint8_t>(wire::encode_frame(message).front())] =
        std::visit([](const auto& each) { return std::string(each.kName); }, message);
  CHECK(expected.size() == std::variant_size_v<wire::Message>);
  for (const auto& row : table_under("### Frame types"))
    CHECK(written.emplace(number_of(row.at(0)), row.at(1)).second);
  CHECK(written == expected);
}

TEST_CASE("every message of the schemas is in the specification, field by field") {
  // The schema, and the level of its headings.
  const std::pair<std::string_view, std::string> schemas[] = {{"schemas/notp.proto", "#### "},
                                                              {"schemas/requests.proto", "#### "},
                                                              {"schemas/model.proto", "### "}};
  for (const auto& [schema, level] : schemas) {
    const auto parsed = schema_messages(schema);
    CHECK(parsed.size() >= 5);
    for (const auto& [message, fields] : parsed) {
      CAPTURE(message);
      std::map<std::string, std::string> written;
      for (const auto& row : table_under(level + message))
        CHECK(written.emplace(row.at(0), row.at(1)).second);
      CHECK(written == fields);
    }
  }
}

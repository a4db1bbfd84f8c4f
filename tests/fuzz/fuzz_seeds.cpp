// fuzz_seeds FOLDER: writes FOLDER/fuzz_frame, FOLDER/fuzz_record, FOLDER/fuzz_feed,
// FOLDER/fuzz_token_table and FOLDER/fuzz_proof, which are a part of every run of these, and the
// first seeds of corpus/fuzz_envelope, corpus/fuzz_trust, corpus/fuzz_artifact and
// corpus/fuzz_inventory.
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include "common/assert.hpp"
#include "common/storage/files.hpp"
#include "tests/fuzz/artifact_samples.hpp"
#include "tests/fuzz/feed_seeds.hpp"
#include "tests/fuzz/proof_seeds.hpp"
#include "tests/fuzz/record_seeds.hpp"
#include "tests/support/wire/inventory_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace {

using namespace notp;

bool write(const std::filesystem::path& folder, std::string_view name, ByteView content) {
  return make_folders(folder) && write_file(folder / name, content);
}

bool write_envelopes(const std::filesystem::path& folder) {
  const trust::Release release = samples::release(2);
  const trust::Root root = samples::root();
  trust::Root next = samples::tracked_root();
  next.version = 2;
  const trust::Freshness freshness = samples::freshness(5, {samples::head_of(release)});
  const trust::Freshness of_class = samples::class_freshness(5, {samples::head_of(release)});
  const trust::Assignment assignment = samples::assignment(5);
  return write(folder, "release", samples::signed_by(release, {2}).encode()) &&
         write(folder, "release_two_signers", samples::signed_by(release, {2, 3}).encode()) &&
         write(folder, "release_unsigned", samples::signed_by(release, {}).encode()) &&
         write(folder, "release_statement", release.encode()) &&
         write(folder, "root", samples::signed_by(root, {1}).encode()) &&
         write(folder, "root_statement", root.encode()) &&
         write(folder, "root_next", samples::signed_by(next, {1}).encode()) &&
         write(folder, "freshness", samples::signed_by(freshness, {7}).encode()) &&
         write(folder, "freshness_statement", freshness.encode()) &&
         write(folder, "class_freshness", samples::signed_by(of_class, {7}).encode()) &&
         write(folder, "class_freshness_statement", of_class.encode()) &&
         write(folder, "assignment", samples::signed_by(assignment, {7}).encode()) &&
         write(folder, "assignment_old",
               samples::signed_by(samples::assignment(3), {7}).encode()) &&
         write(folder, "assignment_statement", assignment.encode());
}

// A root, a freshness statement, an assignment with a statement for its class, and a release, each
// as its signers make it.
bool write_trust(const std::filesystem::path& folder) {
  const Bytes root{"\x00\x80\x01\x02\x02\x00\x02\x00\x00\x00\x03\x00", 12};
  const Bytes freshness{"\x01\x80\x0c\x00\x03\x02\x80\x01\x01\x03\x00\x01\x03\x00\x40\x00\x00", 17};
  const Bytes release{"\x00\x80\x10\x00\x03\x00\x08\x00", 8};
  const Bytes of_class{
      "\x01\x80\x8c\x00\x03\x02\x80\x02\x40\x00\x08\x03\x02\x80\x01\x01\x03\x00\x01\x03\x00\x40\x00"
      "\x00",
      24};
  return write(folder, "root", root) && write(folder, "freshness", freshness) &&
         write(folder, "classes", of_class + of_class + freshness + of_class) &&
         write(folder, "release", release) &&
         write(folder, "all", root + freshness + release + freshness);
}

// The first byte chooses the base.
bool write_artifact(const std::filesystem::path& folder, std::string_view name,
                    const delta::ReleaseContent* base, const model::ModelContent& target,
                    ByteView envelope = samples::kTargetEnvelope) {
  const auto artifact = delta::encode_artifact(base, samples::side_of(target, envelope));
  return artifact && write(folder, name, (base ? "\x01" : Bytes(1, '\0')) + *artifact);
}

bool write_artifacts(const std::filesystem::path& folder) {
  const model::ModelContent from = samples::model_of(samples::fuzz_base_texts());
  const model::ModelContent to = samples::model_of(samples::fuzz_target_texts());
  const delta::ReleaseContent base = samples::side_of(from, samples::kBaseEnvelope);
  samples::Texts moved;
  for (const auto& [path, text] : samples::fuzz_base_texts())
    moved[samples::move_path(path, "policies/", "rules/")] = text;
  return write_artifact(folder, "full", nullptr, to) &&
         write_artifact(folder, "delta", &base, to) &&
         write_artifact(folder, "delta_large", &base,
                        samples::model_of(samples::fuzz_large_texts())) &&
         write_artifact(folder, "nothing", &base, from) &&
         write_artifact(folder, "text_envelope", &base, to, samples::kTextEnvelope) &&
         write_artifact(folder, "moved", &base, samples::model_of(moved)) &&
         write_artifact(folder, "emptied", &base, samples::model_of({}));
}

// In fuzz_inventory's format: the choice, the count, leaves or edits.
bool write_inventories(const std::filesystem::path& folder) {
  const delta::LeafIndex base(samples::model_of(samples::fuzz_base_texts()).tree);
  const delta::LeafIndex target(samples::model_of(samples::fuzz_target_texts()).tree);
  const auto list = [](const delta::LeafIndex& held) {
    return delta::take_inventory(held, delta::InventoryForm::kListed).list;
  };
  const auto files = static_cast<char>(base.held().size());
  Bytes foreign, changes, all;
  for (const auto& each : base.held()) all += Bytes(1, '\0') + samples::list_of({each.leaf});
  for (const auto& each : target.held())
    if (base.find(each.leaf) == nullptr)
      foreign += samples::list_of({each.leaf}),
          changes += Bytes(1, '\0') + samples::list_of({each.leaf});
  return write(folder, "list", Bytes(2, '\0') + list(base)) &&
         write(folder, "list_target", Bytes(2, '\0') + list(target)) &&
         write(folder, "list_foreign", Bytes(2, '\0') + foreign) &&
         write(folder, "list_one_more", Bytes("\0\1", 2) + list(base)) &&
         write(folder, "sketch", Bytes("\1") + files) &&
         write(folder, "sketch_more",
               Bytes("\1") + static_cast<char>(files + changes.size() / 9) + changes) &&
         write(folder, "sketch_broken", Bytes("\1") + files + Bytes("\1\0\0\1\1\1\7\7", 8)) &&
         write(folder, "sketch_made", Bytes("\2") + files + all) &&
         write(folder, "without", Bytes("\3") + list(base).substr(16, 24)) &&
         write(folder, "without_foreign", Bytes("\3") + foreign);
}

bool write_all(const std::filesystem::path& folder, const std::map<std::string, Bytes>& seeds) {
  for (const auto& [name, seed] : seeds)
    if (!write(folder, name, seed)) return false;
  return true;
}

// "Request HistoryRequest" as "request_history_request".
std::string seed_name(const wire::Message& message) {
  std::string out;
  for (const char letter : wire::name_of(message)) {
    const bool is_capital = letter >= 'A' && letter <= 'Z';
    if (is_capital && !out.empty() && out.back() != '_') out += '_';
    out += letter == ' ' ? '_' : is_capital ? static_cast<char>(letter - 'A' + 'a') : letter;
  }
  return out;
}

// One frame of each sample, and all in a row. The first byte chooses the fragments.
bool write_frames(const std::filesystem::path& folder) {
  std::map<std::string, int> named;
  Bytes all(1, '\0');
  for (const wire::Message& message : wire::samples::all()) {
    const Bytes frame = wire::encode_frame(message);
    std::string name = seed_name(message);
    if (const int before = named[name]++; before != 0) name += "_" + std::to_string(before + 1);
    if (!write(folder, name, Bytes(1, static_cast<char>(named.size())) + frame)) return false;
    all += frame;
  }
  return write(folder, "all", all);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const bool written =
      write_envelopes(folder / "fuzz_envelope") && write_trust(folder / "fuzz_trust") &&
      write_artifacts(folder / "fuzz_artifact") && write_inventories(folder / "fuzz_inventory") &&
      write_frames(folder / "fuzz_frame") &&
      write_all(folder / "fuzz_record", fuzz::record_seeds()) &&
      write_all(folder / "fuzz_feed", fuzz::feed_seeds()) &&
      write_all(folder / "fuzz_token_table", fuzz::token_table_seeds()) &&
      write_all(folder / "fuzz_proof", fuzz::proof_seeds());
  return written ? 0 : 1;
}

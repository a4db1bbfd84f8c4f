#include "tools/bench/editable_model.hpp"

#include <fmt/format.h>

#include <fstream>

#include "tools/notp/publish/model_folder.hpp"

namespace notp::bench {

Result<void> EditableModel::write(const std::string& path, const std::string& text) const {
  std::error_code failed;
  std::filesystem::create_directories((folder_ / path).parent_path(), failed);
  std::ofstream out(folder_ / path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(ErrorCode::kIo, fmt::format("cannot write {}", (folder_ / path).string()));
  return {};
}

Result<void> EditableModel::load() {
  NOTP_ASSIGN(cli::FolderContent loaded, cli::read_model_folder(folder_.string()));
  content_ = std::move(loaded.content);
  return {};
}

Result<void> EditableModel::replace(const std::string& path, Bytes text) {
  NOTP_TRY(write(path, text));
  model::Files files = content_.tree->files();
  model::FileEntry& entry = files.at(path);
  content_.blobs.erase(entry.hash);
  entry = {model::blob_hash(text), text.size()};
  content_.blobs[entry.hash] = std::make_shared<const Bytes>(std::move(text));
  NOTP_ASSIGN(model::Tree tree, model::Tree::make(std::move(files)));
  content_.tree = std::make_shared<const model::Tree>(std::move(tree));
  return {};
}

}  // namespace notp::bench

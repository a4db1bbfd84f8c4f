// Where an export goes: standard output or a file, as it is or compressed.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/bytes.hpp"

namespace notp::cli {

// Writes lines. A file appears under its name when it is complete; until then it is NAME.part,
// which a failed export leaves behind. One thread.
class ExportFile {
 public:
  // `path` empty: standard output. kIo.
  static Result<ExportFile> open(const std::filesystem::path& path, bool compress);

  Result<void> write(ByteView line);  // kIo
  // Durable, and under its name. kIo.
  Result<void> finish();
  uint64_t bytes() const { return bytes_; }  // written, compressed

 private:
  ExportFile(std::filesystem::path path, bool compress)
      : path_(std::move(path)), compress_(compress) {}
  Result<void> flush();

  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdout) std::fclose(file);
    }
  };
  std::filesystem::path path_;
  bool compress_;
  std::unique_ptr<std::FILE, Close> file_;
  Bytes waiting_;
  uint64_t bytes_ = 0;
};

}  // namespace notp::cli

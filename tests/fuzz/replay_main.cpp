// Runs every file of the folders named on the command line through the fuzzer's entry function.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "common/storage/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  constexpr size_t kInputBytesMax = 1 << 20;
  std::vector<std::filesystem::path> inputs;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (std::filesystem::directory_iterator at(argv[i], error), end; !error && at != end;
         at.increment(error))
      inputs.push_back(at->path());
    if (error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.message().c_str());
      return 1;
    }
  }
  std::ranges::sort(inputs);
  for (const auto& path : inputs) {
    const auto input = notp::read_file(path, kInputBytesMax);
    if (!input) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), input.error().message.c_str());
      return 1;
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input->data()), input->size());
  }
  std::printf("%zu inputs\n", inputs.size());
  // An empty corpus would pass without testing anything.
  return inputs.empty() ? 1 : 0;
}

#!/bin/sh
# Fuzzes the readers: run.sh [SECONDS [TARGET...]]
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- keras_weights legacy_h5 keras_archive sharded safetensors pytorch idx \
    tensorflow_js tensorflow_checkpoint saved_model pictures features peft load_adapter heads
seeds=../fixtures/keras-files

# In 16 bits how long a file is, and the file.
measured() {
    length=$(wc -c <"$1")
    printf "\\$(printf %03o $((length % 256)))\\$(printf %03o $((length / 256)))"
    cat "$1"
}

# For each of PEFT's folders what stands in front of it, its settings, its tensors.
adapters() {
    for folder in ../fixtures/cases/peft/*/; do
        {
            printf '%s' "$1"
            measured "$folder/adapter_config.json"
            cat "$folder/adapter_model.safetensors"
        } >"corpus/$target/$(basename "$folder")"
    done
}

for target in "$@"; do
    mkdir -p "corpus/$target"
    case $target in
        keras_weights) cp $seeds/*.weights.h5 ../fixtures/hostile/*.weights.h5 corpus/$target ;;
        legacy_h5) cp $seeds/*_full.h5 $seeds/small_k?.h5 $seeds/names_many.h5 corpus/$target ;;
        keras_archive) cp $seeds/*.keras corpus/$target ;;
        sharded) cp $seeds/*.weights.json corpus/$target ;;
        idx) cp ../fixtures/fashion-mnist/*-labels-*.gz seeds/idx-* corpus/$target ;;
        pytorch) cp ../fixtures/pytorch-files/* corpus/$target ;;
        tensorflow_js)
            # A first byte chooses: a sound shard, or a sound JSON file.
            for model in ../fixtures/tensorflow-files/js_*; do
                { printf '.'; cat "$model/model.json"; } >"corpus/$target/${model##*/}.json"
            done
            { printf ' '; cat ../fixtures/tensorflow-files/js_uint8_plain/*.bin; } \
                >"corpus/$target/shard"
            ;;
        tensorflow_checkpoint)
            # The length of the index (16 bits), the index, a shard.
            for index in ../fixtures/tensorflow-files/*/*.index \
                ../fixtures/tensorflow-files/*/variables/*.index; do
                name=$(echo "${index#../fixtures/tensorflow-files/}" | tr / _)
                { measured "$index"; cat "${index%.index}".data-00000-of-*; } >"corpus/$target/$name"
            done
            ;;
        saved_model)
            for model in ../fixtures/tensorflow-files/*_saved_model; do
                cp "$model/keras_metadata.pb" "corpus/$target/${model##*/}"
            done
            ;;
        pictures) cp ../fixtures/images/* corpus/$target ;;
        safetensors) cp seeds/*.safetensors corpus/$target ;;
        features) cp seeds/*.rows corpus/$target ;;
        peft) adapters '' ;;
        load_adapter)
            # A first byte chooses: a folder, as for `peft`; KerasHub's file; loralib's.
            adapters 0
            { printf 1; cat ../fixtures/cases/keras-hub/some.lora.h5; } >"corpus/$target/lora.h5"
            { printf 2; cat ../fixtures/cases/loralib/some.pt; } >"corpus/$target/some.pt"
            { printf 2; cat ../fixtures/cases/loralib/other.safetensors; } >"corpus/$target/other"
            ;;
    esac
    # Some need no seeds.
    [ -z "$(ls "corpus/$target")" ] || chmod u+w "corpus/$target"/*
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=1024 \
        -malloc_limit_mb=160 -timeout=10 -max_len=65536
done

"""`python -m runs.inside study=quick`: weights, gradient norms, gates and states of the best trials.

For each pair of task and variant, the best trial of the search is trained again. This gives the same
network to the last bit where the machine and the versions are the same. The command writes
`results/<study>/models/<task>/<variant>.safetensors` and `.npz`, and skips files that are up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .arguments import command, key_values
from .console.start import end_quickly
from .console.text import complain, say
from .files import subfolder, writable
from .study.presence import refuse_absent
from .study.storage.url import storage_url

KEYS = {
    "study": "name of the study; it must be given.",
    "results": "folder of all studies. Default: results.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the study's folder.",
    "workers": "processes. Default: 1.",
}


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        if "study" not in values:
            raise ValueError("say which study: study=...")
        name, results = values["study"], Path(values.get("results", "results"))
        if not values.get("workers", "1").isdecimal() or int(values.get("workers", "1")) < 1:
            raise ValueError(f"workers must be a number from 1 on, got {values['workers']!r}")
        url = storage_url(values)
        refuse_absent(results, name, url)
        from .console.progress import Progress
        from .study.finding import find  # after the arguments: a mistake is reported before torch is imported
        from .study.inspection import inspect_study
        from .study.storage.opening import close_storage

        study = find(results, name, url)
        try:
            models = subfolder(writable(results / name), "models")
            good = True
            for worked, line in inspect_study(study, models, int(values.get("workers", "1")), Progress()):
                good &= worked
                say(line)
        finally:
            close_storage(study.storage)
    except ValueError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what is saved stays; the same command goes on", file=sys.stderr)
        return 130
    print(f"saved in {models}\nnext: {command('analysis', study=name, results=results)}")
    return 0 if good else 1


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))

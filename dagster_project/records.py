"""The texts that a training keeps with its run: model card and transparency record, from what the mesh knows of it."""

from mesh.model import ModelDefinition, TrainedModel, TrainingContext
from mesh.model.model_card import CARD, model_card
from mesh.model.record import ReadRelease, build_record, limitations, record_files
from mesh.model.words import load_words, words_path
from mesh.project import Product
from mesh.session import Mesh


def documents(
    mesh: Mesh, product: Product, definition: ModelDefinition, around: TrainingContext, trained: TrainedModel
) -> dict[str, str]:
    """By place among the run's artefacts."""
    history = mesh.history()
    read = {}
    for key, ref in around.releases.items():
        release = history.get(key, ref.number)
        contract = mesh.project.product(key).contract
        read[key] = ReadRelease(contract, sum(release.rows.values()), sum(release.quarantined.values()))
    record = build_record(trained, definition, around, product.contract, read)
    words = load_words(words_path(mesh.settings.project, record.model))
    limits = [limitations(product.contract), *(limitations(one.contract) for one in read.values())]
    card = model_card(trained, definition, around, [limit for limit in limits if limit])
    return {CARD: card, **record_files(record.with_words(words))}

"""What a clinic asks of a model beside its score: can its risks be taken at their word, what does acting on it do, what
does it cover, for whom is it wrong."""
